// Python in a thread of its own: answers {id, stage, text, name} with {id, result}.
const root = new URL('../', import.meta.url)

async function fetched(path) {
  const answer = await fetch(new URL(path, root))
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`)
  return answer
}

async function start() {
  const archives = ['pyodide/python.zip', 'live/nnderiv.zip'].map(path => fetched(path).then(a => a.arrayBuffer()))
  const session = fetched('live/session.py').then(a => a.text())
  const { loadPyodide } = await import(new URL('pyodide/pyodide.mjs', root))
  const python = await loadPyodide({ indexURL: new URL('pyodide/', root).href })
  postMessage({ note: 'Python is here; loading SymPy' })
  for (const archive of await Promise.all(archives)) python.unpackArchive(archive, 'zip', { extractDir: '/lib/site' })
  python.runPython("import sys; sys.path.insert(0, '/lib/site')")
  python.FS.writeFile('/lib/site/session.py', await session)
  const module = python.pyimport('session')
  module.stage('gradients', 'x[N] -> y\ny[n] = x[n]**2')
  return (stage, text, name) => JSON.parse(module.stage(stage, text, name))
}

const started = start()
started.then(() => postMessage({ ready: true }), reason => postMessage({ failed: String(reason) }))

onmessage = async ({ data: { id, stage, text, name } }) => {
  try {
    const ask = await started
    postMessage({ id, result: ask(stage, text, name ?? '') })
  } catch (reason) {
    postMessage({ id, result: { error: String(reason.message ?? reason), kind: 'failure', position: null } })
  }
}
