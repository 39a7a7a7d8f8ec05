import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, sharedCluster } from '../fixture/mayfly-up.ts'
import { needPeer } from '../fixture/peers.ts'

const command = join(import.meta.dirname, '../../dist/cli/main.js')

const shared = sharedCluster()
let cluster: Cluster
/** The home of a user whose shells find `mayfly`. */
let home: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mayfly-test-'))
  cluster = await shared()
  await mkdir(join(home, 'bin'))
  const program = `#!/bin/sh\nexec ${process.execPath} ${command} "$@"\n`
  await writeFile(join(home, 'bin/mayfly'), program, { mode: 0o755 })
  const job = await (await cluster.connect()).registerJob('completed-job')
  await job.close()
  await mkdir(join(home, 'files'))
  await writeFile(join(home, 'files/input.txt'), '')
})
afterAll(() => rm(home, { recursive: true }))

/** What a shell prints, with the files of the user in its folder. */
async function shell(name: string, args: readonly string[]): Promise<string> {
  const env = {
    PATH: `${join(home, 'bin')}:${process.env.PATH}`,
    HOME: home,
    TERM: 'xterm',
    MAYFLY_URL: cluster.url,
    MAYFLY_API_KEY: cluster.apiKey,
  }
  const child = spawn(name, args, { cwd: join(home, 'files'), env, stdio: ['ignore', 'pipe', 'inherit'] })
  return (await text(child.stdout)).trim()
}

test('bash completes verbs, options, the names of living jobs, and files', async () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const typed = words.map((word) => `'${word}'`).join(' ')
    const program = `source <(mayfly completion bash); COMP_WORDS=(mayfly ${typed}); COMP_CWORD=${words.length}; _mayfly; echo "\${COMPREPLY[@]}"`
    return (await shell('bash', ['-c', program])).split(' ')
  }
  expect(await complete('re')).toEqual(['register', 'renew', 'resize'])
  expect(await complete('get', 'completed')).toEqual(['completed-job'])
  expect(await complete('put', '--if')).toEqual(['--if-absent'])
  expect(await complete('keys', 'make', 'x', '--role', 'v')).toEqual(['viewer'])
})

test('fish completes the same, and files where nothing else fits', async (context) => {
  needPeer('fish', context)
  const complete = async (line: string): Promise<string[]> => {
    const program = `mayfly completion fish | source; complete -C '${line}'`
    return (await shell('fish', ['--no-config', '-c', program])).split('\n')
  }
  expect(await complete('mayfly re')).toEqual(['register', 'renew', 'resize'])
  expect(await complete('mayfly get completed')).toEqual(['completed-job'])
  expect(await complete('mayfly put --if')).toEqual(['--if-absent'])
  expect(await complete('mayfly put completed-job key in')).toEqual(['input.txt'])
})

/** Types `line` and a tab on a terminal with zsh, which has run `setUp`; resolves with the line as it is completed. */
async function completeInZsh(setUp: string, line: string): Promise<string> {
  const program = `
    zmodload zsh/zpty
    zpty z "zsh -f -i"
    zpty -w z "PS1=; unsetopt zle_bracketed_paste 2>/dev/null; ${setUp}; bindkey '^X' accept-line; show() { print -r -- COMPLETED \\$BUFFER END; }; zle -N show; bindkey '^Y' show; print -r -- rea''dy"
    zpty -r z piece '*ready*'
    zpty -w -n z $'${line}\\t\\C-y'
    zpty -r z piece '*COMPLETED*END*'
    print -r -- "\${\${piece##*COMPLETED }%% END*}"`
  return await shell('zsh', ['-f', '-c', program])
}

test('zsh completes the same, from a file in fpath and from a sourced script, with the first tab', async (context) => {
  needPeer('zsh', context)
  const functions = join(home, 'functions')
  await mkdir(functions)
  await shell('sh', ['-c', `mayfly completion zsh > ${functions}/_mayfly`])
  const initial = `autoload -U compinit && compinit -u -d ${home}/dump`
  const inFpath = `fpath=(${functions} \\$fpath); ${initial}`
  const sourced = `${initial}; source <(mayfly completion zsh)`
  for (const setUp of [inFpath, sourced]) {
    expect(await completeInZsh(setUp, 'mayfly get completed')).toBe('mayfly get completed-job')
    expect(await completeInZsh(setUp, 'mayfly regis')).toBe('mayfly register')
    expect(await completeInZsh(setUp, 'mayfly put --if')).toBe('mayfly put --if-absent')
    expect(await completeInZsh(setUp, 'mayfly put completed-job key in')).toBe(
      'mayfly put completed-job key input.txt',
    )
  }
})
