import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir, findOnPath, isExecutable } from './path.ts'

/** Exact, so that a seed generates the same requests everywhere. */
const VERSION = '4.32.5'

/** Path of what `installSchemathesis` has installed; null if it has not. */
export function findSchemathesis(): string | null {
  const program = join(environment(), 'bin', 'schemathesis')
  return isExecutable(program) ? program : null
}

export const schemathesisMissing =
  'Schemathesis is missing: `npm run peers` installs it, which needs python3 (with venv) on the PATH'

/** Installs Schemathesis into a virtual environment in the user's cache, once; resolves with its file. */
export async function installSchemathesis(say: (line: string) => void): Promise<string> {
  const found = findSchemathesis()
  if (found !== null) return found
  const python = findOnPath('python3')
  if (python === null) throw new Error(schemathesisMissing)
  const dir = environment()
  say(`installing schemathesis ${VERSION} into ${dir}`)
  const run = promisify(execFile)
  await run(python, ['-m', 'venv', '--clear', dir])
  await run(join(dir, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${VERSION}`])
  return join(dir, 'bin', 'schemathesis')
}

function environment(): string {
  return join(cacheDir(process.env), `schemathesis-${VERSION}`)
}
