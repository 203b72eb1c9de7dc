// node precompile.mjs FOLDER: in FOLDER/python.zip, every module that `import nnderiv` needs is replaced by its bytecode for the
// Python of FOLDER, so that a browser has nothing to compile. The bytecode is compared with no source: the same in, the same out.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { resolve, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const folder = resolve(process.argv[2])
const { loadPyodide } = await import(pathToFileURL(join(folder, 'pyodide.mjs')))
const python = await loadPyodide({ indexURL: folder + '/' })
python.unpackArchive(new Uint8Array(readFileSync(join(folder, 'python.zip'))), 'zip', { extractDir: '/lib/site' })
const count = python.runPython(`
import py_compile, sys, zipfile
from pathlib import Path
site = Path('/lib/site')
sys.path.insert(0, str(site))
sys.dont_write_bytecode = True
import sympy, sympy.tensor.indexed, mpmath
used = {Path(f) for m in list(sys.modules.values()) if (f := getattr(m, '__file__', None)) and f.startswith(str(site))}
with zipfile.ZipFile('/lib/packed.zip', 'w', zipfile.ZIP_DEFLATED) as packed:
    for file in sorted(site.rglob('*.py')):
        name = str(file.relative_to(site))
        if file in used:
            compiled = py_compile.compile(str(file), '/lib/one.pyc', dfile=name, doraise=True,
                                          invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
            packed.writestr(zipfile.ZipInfo(name + 'c'), Path(compiled).read_bytes(), zipfile.ZIP_DEFLATED)
        else:
            packed.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
len(used)
`)
writeFileSync(join(folder, 'python.zip.new'), python.FS.readFile('/lib/packed.zip'))
renameSync(join(folder, 'python.zip.new'), join(folder, 'python.zip'))
console.log(`  ${count} modules compiled`)
