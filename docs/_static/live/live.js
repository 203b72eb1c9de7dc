// The live page. A classic script: it also runs where the page was opened from a folder and no worker starts.
// What was computed while the book was built (prebuilt.js) is shown until Python is here, and instead of it there.
(() => {
  'use strict'
  const { layers, results } = globalThis.nnderivPrebuilt
  const $ = id => document.getElementById(id)
  const text = $('live-text'), mirror = $('live-mirror'), status = $('live-status'), problem = $('live-error'), output = $('live-results')
  const picker = $('live-layer')
  const folder = location.protocol === 'file:'
  const PAUSE = 120, PATIENCE = 30000

  // ---- elements
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    element.append(...children)
    return element
  }
  const formula = latex => make('div', { class: 'math notranslate nohighlight' }, `\\[${latex}\\]`)
  // A sentence with formulas between dollars.
  const sentence = said => said.split('$').map((part, k) => k % 2 ? make('span', { class: 'math notranslate nohighlight' }, `\\(${part}\\)`) : part)
  const typeset = async element => {
    await globalThis.MathJax?.startup?.promise
    await globalThis.MathJax?.typesetPromise?.([element])
  }
  const clear = element => {
    globalThis.MathJax?.typesetClear?.([element])
    element.replaceChildren()
  }

  // ---- Python in workers: one for what must be quick, one for what may take its time. Of waiting questions, the newest counts.
  class Python {
    constructor(onState) {
      this.onState = onState
      this.begin()
    }
    begin() {
      this.busy = null
      this.waiting = null
      this.worker = new Worker(new URL('_static/live/worker.mjs', document.baseURI), { type: 'module' })
      this.worker.onmessage = ({ data }) => this.hear(data)
      this.worker.onerror = event => this.onState({ failed: event.message || 'the worker did not start' })
    }
    hear(data) {
      if (!('id' in data)) return this.onState(data)
      clearTimeout(this.timer)
      const { resolve } = this.busy
      this.busy = null
      resolve(data.result)
      if (this.waiting) this.send(this.waiting)
    }
    ask(stage, text, name) {
      return new Promise(resolve => {
        this.waiting?.resolve(null)
        const question = { id: Math.random(), stage, text, name, resolve }
        if (this.busy) this.waiting = question
        else this.send(question)
      })
    }
    send(question) {
      this.waiting = null
      this.busy = question
      const { id, stage, text, name } = question
      this.worker.postMessage({ id, stage, text, name })
    }
    // What takes too long is given up, with the interpreter that works on it.
    give_up() {
      this.worker.terminate()
      this.busy?.resolve({ error: 'This takes too long; it was stopped.', kind: 'time', position: null })
      const waiting = this.waiting
      this.begin()
      if (waiting) this.send(waiting)
    }
    limit(milliseconds) {
      this.timer = setTimeout(() => this.give_up(), milliseconds)
    }
  }

  // ---- the editor: the mirror behind the text carries the mark of an error
  const mark = position => {
    const value = text.value
    if (position === null || position === undefined) return mirror.replaceChildren(value + '\n')
    const rest = value.slice(position)
    const wrong = (rest.match(/^(\w+|[^\w\s]|\s)/) ?? [' '])[0].replace('\n', ' ')
    const after = rest.slice(wrong === ' ' && rest[0] !== ' ' ? 0 : wrong.length)
    mirror.replaceChildren(value.slice(0, position), make('mark', {}, wrong), after + '\n')
  }
  const grow = () => {
    text.style.height = 'auto'
    text.style.height = `${text.scrollHeight + 2}px`
    mirror.scrollLeft = text.scrollLeft
  }
  const complain = found => {
    clear(problem)
    mark(found?.position)
    text.setAttribute('aria-invalid', String(Boolean(found)))
    if (!found) return
    if (found.position !== null && found.position !== undefined) {
      const before = text.value.slice(0, found.position).split('\n')
      problem.append(make('strong', {}, `Line ${before.length}, column ${before.at(-1).length + 1}. `))
    }
    const [first, ...repair] = found.error.split('\n')
    problem.append(first, ...repair.flatMap(line => [make('br'), make('span', { class: 'repair' }, line)]))
  }

  // ---- results
  const colour = source => {
    const code = make('pre', { tabindex: '0', 'aria-label': 'NumPy source' })
    const pattern = /("""[\s\S]*?"""|f?"[^"\n]*"|f?'[^'\n]*')|(#[^\n]*)|\b(def|return|for|in|if|else|elif|import|as|raise|not|and|or|lambda|is|None|True|False)\b/g
    let from = 0
    for (const found of source.matchAll(pattern)) {
      const kind = found[1] ? 's2' : found[2] ? 'c1' : 'k'
      code.append(source.slice(from, found.index), make('span', { class: kind }, found[0]))
      from = found.index + found[0].length
    }
    code.append(source.slice(from))
    return make('div', { class: 'highlight' }, code)
  }
  const table = (head, rows) => make('div', { class: 'table-scroll' }, make('table', { class: 'checks' },
    make('thead', {}, make('tr', {}, ...head.map(cell => make('th', {}, cell)))),
    make('tbody', {}, ...rows.map(row => make('tr', {}, ...row.map(cell => make('td', {}, cell)))))))
  const stepsOf = steps => make('ol', { class: 'steps' }, ...steps.map(s => make('li', {},
    make('p', {}, make('strong', {}, s.rule), '. ', ...sentence(s.said)), formula(s.latex),
    make('p', { class: 'tested' }, `${s.trials} random trials`))))

  const equation = g => {
    const shown = make('div', { class: 'gradient docutils', 'data-name': g.name }, formula(g.index))
    if (g.matrix) shown.append(formula(g.matrix))
    else shown.append(make('p', { class: 'under-equation' }, `No matrix form: ${g.no_matrix}`))
    return shown
  }
  const gradient = (g, definition, known) => {
    const shown = equation(g)
    const folded = make('details', { class: 'folded derivation' }, make('summary', {}, `Derivation of ${g.name}`))
    const fill = async () => {
      if (folded.childElementCount > 1) return
      const note = make('p', { class: 'tested' }, 'Deriving, and testing every step …')
      folded.append(note)
      const found = known?.[g.wrt] ?? (slow ? await slow.ask('steps', definition, g.wrt) : null)
      note.remove()
      if (found?.steps?.length) folded.append(stepsOf(found.steps))
      else folded.append(make('p', { class: 'tested' }, found?.error ?? (found ? 'There is nothing to do: it is the seed itself.' : 'Open the page from a server to derive this.')))
      await typeset(folded)
    }
    folded.addEventListener('toggle', () => folded.open && fill())
    shown.append(folded)
    return shown
  }
  const showGradients = async (found, definition, known) => {
    clear(output)
    const list = make('section', { id: 'live-gradients', 'aria-label': 'Gradients' }, make('h2', {}, 'Gradients'))
    list.append(...found.gradients.map(g => gradient(g, definition, known)))
    if (found.inner.length) list.append(make('h3', {}, 'On the way'), ...found.inner.map(equation))
    output.append(list, make('section', { id: 'live-check', 'aria-label': 'Check' }), make('section', { id: 'live-code', 'aria-label': 'NumPy source' }))
    await typeset(output)
  }
  const showCode = found => {
    const copy = make('button', { type: 'button', class: 'live-copy' }, 'Copy')
    copy.addEventListener('click', () => navigator.clipboard?.writeText(found.numpy).then(() => { copy.textContent = 'Copied' }))
    $('live-code').replaceChildren(make('h2', {}, 'NumPy source'), found.error ? make('p', {}, found.error) : copy, found.error ? '' : colour(found.numpy))
    // The reader came for these two functions; what stands above them checks the arguments.
    const begins = found.numpy?.slice(0, found.numpy.indexOf('\ndef forward')).split('\n').length ?? 0
    const box = $('live-code').querySelector('pre')
    if (box) box.scrollTop = begins * parseFloat(getComputedStyle(box).lineHeight)
  }
  const showCheck = found => {
    const head = make('h2', {}, 'Check')
    if (found.error) return $('live-check').replaceChildren(head, make('p', {}, found.error))
    const trials = found.rows.reduce((sum, row) => sum + Number(row[2]), 0)
    const verdict = found.ok ? `✓ Every gradient agrees with the definition: ${trials} trials, seed ${found.seed}.` : '✗ There are disagreements.'
    const folded = make('details', { class: 'folded' }, make('summary', {}, 'The evidence'),
      table(['gradient', 'evidence', 'trials', 'sizes', 'error', 'allowed'], found.rows.map(row => row.slice(0, 6))))
    $('live-check').replaceChildren(head, make('p', { class: 'verdict', 'data-ok': String(found.ok) }, verdict), folded)
  }

  // ---- one round: from a text to all that follows from it; a newer text ends it
  let quick = null, slow = null, round = 0
  const say = message => { status.replaceChildren(...[message].flat()) }
  const prebuilt = async definition => {
    const found = results[definition]
    complain(null)
    if (!found) { clear(output); return false }
    await showGradients(found.gradients, definition, found.steps)
    showCode(found.code)
    showCheck(found.check)
    return true
  }
  const run = async () => {
    const mine = ++round, definition = text.value.trim(), began = performance.now()
    if (!quick) return prebuilt(definition)
    const found = await quick.ask('gradients', text.value, '')
    if (mine !== round || !found) return
    complain(found.error ? found : null)
    output.classList.toggle('stale', Boolean(found.error))
    if (found.error) return say('What stands below belongs to the definition before the mistake.')
    await showGradients(found, text.value, results[definition]?.steps)
    if (mine !== round) return
    output.dataset.milliseconds = String(Math.round(performance.now() - began))
    say(`Derived in ${output.dataset.milliseconds} ms.`)
    const code = await quick.ask('code', text.value, '')
    if (mine !== round || !code) return
    showCode(code)
    if (slow.busy) slow.limit(PATIENCE / 10)
    $('live-check').replaceChildren(make('h2', {}, 'Check'), make('p', { class: 'tested' }, 'Checking …'))
    const check = await slow.ask('check', text.value, '')
    if (mine === round && check) showCheck(check)
  }

  // ---- the address carries the definition
  const fromAddress = () => {
    const found = location.hash.match(/^#def=(.*)$/)
    try { return found ? decodeURIComponent(found[1]) : null } catch { return null }
  }
  const set = definition => {
    text.value = definition
    const name = Object.keys(layers).find(key => layers[key] === definition.trim())
    picker.value = name ?? ''
    grow()
    mark(null)
  }
  let timer
  const edited = () => {
    grow()
    mark(null)
    picker.value = Object.keys(layers).find(key => layers[key] === text.value.trim()) ?? ''
    clearTimeout(timer)
    timer = setTimeout(() => {
      history.replaceState(null, '', `#def=${encodeURIComponent(text.value.trim())}`)
      run()
    }, PAUSE)
  }

  const begin = () => {
    const began = performance.now()
    const state = data => {
      if (data.note) say(`${data.note} …`)
      if (data.failed) say(`Python did not start: ${data.failed}. What you see was computed when the book was built.`)
      if (data.ready) {
        const seconds = ((performance.now() - began) / 1000).toFixed(1)
        document.body.dataset.liveReady = seconds
        say(`Ready after ${seconds} s. Edit the definition: everything below follows.`)
        slow = new Python(() => {})
        quick = starting
        run()
      }
    }
    say('Starting Python in this page; nothing is sent anywhere …')
    const starting = new Python(state)
  }

  const offered = Object.keys(layers).filter(name => !folder || layers[name] in results)
  picker.append(make('option', { value: '' }, 'your own'), ...offered.map(name => make('option', { value: name }, name)))
  picker.addEventListener('change', () => {
    if (!picker.value) return
    set(layers[picker.value])
    edited()
  })
  text.addEventListener('input', edited)
  text.addEventListener('scroll', () => { mirror.scrollLeft = text.scrollLeft })
  addEventListener('hashchange', () => {
    const definition = fromAddress()
    if (definition !== null && definition !== text.value.trim()) { set(definition); run() }
  })

  set(fromAddress() ?? layers.dense)
  prebuilt(text.value.trim()).then(shown => {
    document.body.dataset.livePrebuilt = String(shown)
    if (!folder) return begin()
    text.readOnly = true
    const known = shown ? 'What stands below was computed when the book was built.' : 'For this definition, nothing was computed when the book was built.'
    say([`This page was opened from a folder, and there browsers start no Python. To edit and derive, run `,
      make('code', {}, 'make serve'), ' (or ', make('code', {}, 'python -m http.server'), ' in the folder of the book) and open ',
      make('code', {}, 'http://localhost:8000/live.html'), `. ${known}`])
  })
})()
