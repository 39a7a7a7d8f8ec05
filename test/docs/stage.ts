import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { findOnPath } from '../../bench/servers/path.ts'
import { findPostgres } from '../../bench/servers/postgres.ts'
import { findPython } from '../../bench/servers/python-packages.ts'
import { parseConfig } from '../../cli/up/config/cluster-config.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { type Block, placeOf, root } from './blocks.ts'
import { isAsShown } from './printed.ts'

const run = promisify(execFile)

interface Credentials {
  readonly url: string
  readonly apiKey: string
}

/** Where the reader is. */
interface Place {
  readonly clone?: string
  readonly packed?: { readonly dir: string; readonly command: string }
  readonly cluster?: Credentials
  /** The folders of the repository that pages name are there. */
  readonly repository?: boolean
  /** Further variables; a PATH stands behind that of the reader. */
  readonly env?: Readonly<Record<string, string>>
  /** How long a block may take. */
  readonly blockMs?: number
  /** One of several machines. */
  readonly machine?: {
    /** The command that runs the words after it there. */
    readonly prefix: readonly string[]
    /** Folder of the homes of all machines, by their host names. */
    readonly homes: string
    readonly host: string
  }
}

/** Until a terminal has printed that its cluster is ready, or anything at all where it starts none; it may build first. */
const TERMINAL_MS_MAX = 300_000
const BLOCK_MS_MAX = 60_000
/** On machines blocks wait for leases, too. */
const MACHINE_BLOCK_MS_MAX = 300_000
/** Each starts a process. */
const NODE_TRIES_MAX = 100

/**
 * A reader of one page: a folder of its own, a shell whose variables and folder last from block to block, and terminals
 * beside it. `npx mayfly` is the built command; `mayfly up` takes a free port.
 */
export class Stage {
  /** Where the reader is. */
  readonly #dir: string
  readonly #stateFile: string
  readonly #env: NodeJS.ProcessEnv
  readonly #prefix: readonly string[]
  readonly #terminals: ChildProcess[] = []
  readonly #blockMs: number
  #programs = 0

  private constructor(of: {
    dir: string
    stateFile: string
    env: NodeJS.ProcessEnv
    prefix: readonly string[]
    blockMs: number
  }) {
    this.#dir = of.dir
    this.#stateFile = of.stateFile
    this.#env = of.env
    this.#prefix = of.prefix
    this.#blockMs = of.blockMs
  }

  /**
   * `clone` is the folder of a clone in which the reader stands, and `packed` one in which both packages are installed; else it is an empty one
   * in which the SDK is. `cluster` runs already, as if the reader had started it.
   */
  static async open({
    clone,
    packed,
    cluster,
    machine,
    repository = false,
    env = {},
    blockMs = machine === undefined ? BLOCK_MS_MAX : MACHINE_BLOCK_MS_MAX,
  }: Place = {}): Promise<Stage> {
    const home = machine === undefined ? await tempDir() : join(machine.homes, machine.host)
    const dir = clone ?? packed?.dir ?? (machine === undefined ? join(home, 'work') : home)
    const bin = join(home, 'bin')
    await mkdir(bin, { recursive: true })
    const command = packed?.command ?? join(clone ?? root, 'dist/cli/main.js')
    await writePrograms(bin, { command, isBuilt: packed !== undefined })
    if (machine !== undefined) {
      await writeMachinePrograms(bin, machine.homes)
      await symlink(root, join(home, 'mayfly'))
    } else if (clone === undefined && packed === undefined) {
      await mkdir(join(dir, 'node_modules'), { recursive: true })
      await symlink(join(root, 'client'), join(dir, 'node_modules', 'mayfly'))
      await symlink(join(root, 'node_modules/@opentelemetry'), join(dir, 'node_modules/@opentelemetry'))
    }
    if (repository)
      for (const folder of ['deploy', 'examples']) await symlink(join(root, folder), join(dir, folder))
    const reader = {
      ...{ HOME: home, TMPDIR: home, XDG_STATE_HOME: join(home, 'state') },
      ...(machine !== undefined && { HOST: machine.host }),
      ...env,
      PATH: `${bin}:${env.PATH ?? process.env.PATH}`,
    }
    const prefix = machine?.prefix ?? []
    const stage = new Stage({ dir, stateFile: join(home, 'shell'), env: reader, prefix, blockMs })
    onTestFinished(() => stage.close())
    await writeFile(stage.#stateFile, `cd ${dir}\n`)
    if (cluster !== undefined) {
      const state = join(home, 'state', 'mayfly')
      await mkdir(state, { recursive: true, mode: 0o700 })
      await writeFile(join(state, 'credentials.json'), JSON.stringify(cluster), { mode: 0o600 })
    }
    return stage
  }

  async play(block: Block): Promise<void> {
    if (block.skip !== null) return
    try {
      if (block.file !== null) await this.#save(block.file, block.text)
      if (block.language === 'sh') await (block.isTerminal ? this.#keep(block.text) : this.shell(block.text))
      else if (block.language === 'console') await this.#compare(block.text)
      else if (block.language === 'ts' || block.language === 'js') {
        if (block.file === null) await this.#runProgram(block)
      } else if (block.language === 'json') checkJson(block)
      else if (block.language === 'yaml') parse(block.text)
    } catch (error) {
      throw new Error(`${placeOf(block)}: ${(error as Error).message}`, { cause: error })
    }
  }

  /** Runs commands as if they were typed; gives what they printed on both streams. Rejects if one of them fails. */
  async shell(commands: string): Promise<string> {
    const script = `set -eo pipefail; . '${this.#stateFile}' >/dev/null; exec 2>&1
${commands}
{ declare -p | grep -Ev '^declare -([a-z]*r|[aA] BASH|- _=)'; printf 'cd %q\\n' "$PWD"; } >'${this.#stateFile}'`
    try {
      const [program = '', ...args] = [...this.#prefix, 'bash', '-c', script]
      const { stdout } = await run(program, args, {
        cwd: this.#dir,
        env: this.#env,
        timeout: this.#blockMs,
        maxBuffer: 2 ** 24,
      })
      return stdout
    } catch (error) {
      const { stdout = '' } = error as { stdout?: string }
      throw new Error(`${commands.trim()}\nprinted\n${stdout}`, { cause: error })
    }
  }

  async #save(file: string, text: string): Promise<void> {
    const path = join(this.#dir, file)
    await mkdir(dirname(path), { recursive: true })
    // A config file with a secret has to be private, as `mayfly up` demands.
    await writeFile(path, text, { mode: 0o600 })
  }

  /** Runs it in another terminal until the page ends. */
  async #keep(commands: string): Promise<void> {
    const script = `set -e; . '${this.#stateFile}' >/dev/null; exec 2>&1\n${commands}`
    const [program = '', ...args] = [...this.#prefix, 'bash', '-c', script]
    const child = spawn(program, args, {
      cwd: this.#dir,
      env: this.#env,
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#terminals.push(child)
    const isReady = commands.includes('mayfly up') ? /is ready at|"event":"ready"/ : /./
    let printed = ''
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`it is not ready: ${printed}`)), TERMINAL_MS_MAX)
      child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
        printed += piece
        if (!isReady.test(printed)) return
        clearTimeout(late)
        resolve()
      })
      child.once('exit', (code) => {
        clearTimeout(late)
        reject(new Error(`it ended with ${code}: ${printed}`))
      })
    })
    if (commands.includes('mayfly up')) await this.#untilNodeServes(commands)
  }

  /** A person who looks at the nodes takes longer than the first one to start. */
  async #untilNodeServes(commands: string): Promise<void> {
    const [dir = ''] = /--dir \S+/.exec(commands) ?? []
    for (let tries = 0; tries < NODE_TRIES_MAX; tries++) {
      if (/ active /.test(await this.shell(`mayfly nodes ${dir}`))) return
    }
    throw new Error('no node serves')
  }

  /** Runs each line behind `$ ` and compares what it prints with the lines below it, where there are any. */
  async #compare(text: string): Promise<void> {
    for (const piece of text.split(/^\$ /m).slice(1)) {
      const [command = '', ...shown] = joinContinued(piece).split('\n')
      const printed = await this.shell(`{ ${command}; } || true`)
      if (shown.join('').trim() !== '' && !isAsShown(printed, shown.join('\n')))
        throw new Error(`$ ${command}\nprinted\n${printed}\nwhere the page shows\n${shown.join('\n')}`)
    }
  }

  /** Runs a block of code as a module in the reader's folder. */
  async #runProgram(block: Block): Promise<void> {
    const entry = join(this.#dir, `block-${++this.#programs}.ts`)
    const outfile = join(this.#dir, `block-${this.#programs}.mjs`)
    await writeFile(entry, programOf(block))
    await build({
      entryPoints: [entry],
      outfile,
      bundle: true,
      packages: 'external',
      // A clone has a tsconfig.json with paths, which a user's folder has not.
      tsconfigRaw: {},
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'silent',
    })
    await this.shell(`node ${outfile}`)
  }

  async close(): Promise<void> {
    for (const child of this.#terminals) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const exited = once(child, 'exit')
      process.kill(-(child.pid as number), 'SIGINT')
      await exited
    }
  }
}

/** A block without an import uses `job` and `mayfly` of the page; alone, it begins with them. */
export function programOf({ text }: Block): string {
  if (/^import /m.test(text)) return text
  return `import { connect, openJob, MayflyError, PutManyError } from 'mayfly'
const mayfly = await connect()
const job = await mayfly.registerJob('docs')
void [openJob, MayflyError, PutManyError]
${text}
await job.deregister()
export {}
`
}

/** A file that `mayfly up` takes as its config is read as it reads it; any other JSON has to parse. */
function checkJson({ text, file }: Block): void {
  JSON.parse(text)
  if (file?.startsWith('mayfly')) parseConfig(text)
}

function joinContinued(text: string): string {
  return text.replace(/\\\n\s*/g, ' ')
}

/** `npx` and `mayfly` run the built command; `npm ci` and `npm install` find everything installed, and in a package nothing is to be built. */
async function writePrograms(
  bin: string,
  { command, isBuilt }: { command: string; isBuilt: boolean },
): Promise<void> {
  const mayfly = `verb="$1"; shift || true
if [ "$verb" = up ]; then exec '${process.execPath}' '${command}' up --port 0 "$@"; fi
exec '${process.execPath}' '${command}' "$verb" "$@"`
  const npm = realNpm()
  const programs: Record<string, string> = {
    mayfly,
    npx: `if [ "$1" != mayfly ]; then echo "npx $1 is not played" >&2; exit 1; fi; shift; ${mayfly}`,
    npm: `case "$1" in ci|install${isBuilt ? '|run' : ''}) exit 0;; esac; exec '${npm}' "$@"`,
  }
  const python = findPython('pythonS3')
  // As if the reader had installed boto3, s3fs and Lithops.
  if (python !== null) programs.python = `exec '${python}' "$@"`
  for (const [name, text] of Object.entries(programs)) await writeProgram(join(bin, name), text)
}

/** `scp` copies to the home of another machine. PostgreSQL refuses to run as root, as whom the page is played. */
async function writeMachinePrograms(bin: string, homes: string): Promise<void> {
  const asPostgres = `mkdir -p "$HOME/postgres"; chmod 711 "$HOME" "$HOME/cluster"
chown -R postgres: "$HOME/postgres" "$HOME/cluster/password"
exec setpriv --reuid=postgres --regid=postgres --clear-groups`
  const programs: Record<string, string> = { scp: `cp -r "$2" "${homes}/\${3%:}/"` }
  for (const name of ['initdb', 'pg_ctl'])
    programs[name] = `${asPostgres} '${join(findPostgres() ?? '', '..', name)}' "$@"`
  for (const [name, text] of Object.entries(programs)) await writeProgram(join(bin, name), text)
}

async function writeProgram(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/bash\n${text}\n`)
  await chmod(path, 0o755)
}

function realNpm(): string {
  const beside = join(dirname(process.execPath), 'npm')
  const found = existsSync(beside) ? beside : findOnPath('npm')
  if (found === null) throw new Error('npm is neither beside Node nor on the PATH')
  return found
}
