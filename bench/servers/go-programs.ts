import { execFile } from 'node:child_process'
import { renameSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir, findOnPath, isExecutable } from './path.ts'

/** A program that `go install` builds into the user's cache. */
interface GoProgram {
  /**
   * Looks for its variable, then for the program on the PATH, then for what `install` has built; null if there is none. Throws if the variable is set and names
   * no program.
   */
  readonly find: (env?: NodeJS.ProcessEnv) => string | null
  /** Builds it, once; resolves with its file. Takes minutes and up to 2 GiB of Go's caches. */
  readonly install: (say: (line: string) => void) => Promise<string>
  /** What to do if it is missing. */
  readonly missing: string
}

interface Source {
  /** The file's name. */
  readonly name: string
  /** For people. */
  readonly title: string
  /** `PATH@VERSION`. */
  readonly module: string
}

function goProgram({ name, title, module }: Source): GoProgram {
  const variable = `MAYFLY_${name.toUpperCase().replaceAll('-', '_')}`
  const missing = `${title} is missing: set ${variable} to its file, or let \`npm run peers\` build it, which needs go (https://go.dev) on the PATH`
  const find = (env: NodeJS.ProcessEnv = process.env): string | null => {
    const chosen = env[variable]
    if (chosen) {
      if (!isExecutable(chosen)) throw new Error(`${variable} is ${chosen}, which is no program`)
      return chosen
    }
    const cached = join(cacheDir(env), 'bin', name)
    return findOnPath(name, env.PATH) ?? (isExecutable(cached) ? cached : null)
  }
  const install = async (say: (line: string) => void): Promise<string> => {
    const found = find()
    if (found !== null) return found
    const go = findOnPath('go')
    if (go === null) throw new Error(missing)
    const dir = join(cacheDir(process.env), 'bin')
    say(`building ${module} into ${dir}, which takes some minutes`)
    await promisify(execFile)(go, ['install', module], {
      env: { ...process.env, GOBIN: dir, CGO_ENABLED: '0', GOFLAGS: '' },
    })
    // Go names it after its folder.
    const built = basename(module.replace(/@.*$/, ''))
    if (built !== name) renameSync(join(dir, built), join(dir, name))
    return join(dir, name)
  }
  return { find, install, missing }
}

export const minio = goProgram({
  name: 'minio',
  title: 'MinIO',
  module: 'github.com/minio/minio@latest',
})

export const helm = goProgram({
  name: 'helm',
  title: 'Helm',
  module: 'helm.sh/helm/v3/cmd/helm@latest',
})

/** The reference implementation of the Compose specification, which checks files. */
export const compose = goProgram({
  name: 'compose-spec',
  title: 'The check of Compose files',
  module: 'github.com/compose-spec/compose-go/v2/cmd@latest',
})
