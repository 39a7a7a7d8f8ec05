import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** `npm run check`: runs all scripts `check:*` of package.json concurrently, as they are independent. */
const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const checks = Object.entries(scripts).filter(([name]) => name.startsWith('check:'))

/** Resolves with whether the check passes. Prints its output in one piece, so that the outputs of two checks do not mix. */
function run([name, command]) {
  return new Promise((resolve) => {
    const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (piece) => {
        said += piece
      })
    child.on('close', (code) => {
      process.stdout.write(code === 0 ? `${name} passes\n` : `${name} FAILS\n${said}`)
      resolve(code === 0)
    })
  })
}

const outcomes = await Promise.all(checks.map(run))
process.exitCode = outcomes.every((passes) => passes) ? 0 : 1
