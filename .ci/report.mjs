// Reads reports of vitest.
//   report.mjs again REPORT...             prints the files of failed tests, if all of them may be run again
//   report.mjs sum STATUS AGAIN REPORT...  names what failed, and prints the line with which .ci/run ends; AGAIN replaces what the reports have of its files
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const [command, ...args] = process.argv.slice(2)

/** The test files of a report; none if the run did not come to write it. */
function read(path) {
  const text = readFileSync(path, 'utf8')
  return text === '' ? [] : JSON.parse(text).testResults
}

const failedIn = (file) => file.assertionResults.filter(({ status }) => status === 'failed')
const isFailed = (file) => file.status === 'failed' || failedIn(file).length > 0
const nameOf = (file) => relative(process.cwd(), file.name)
const firstLineOf = (text = '') => text.split('\n')[0].slice(0, 300)

/** What an invariant's test or the simulation finds is a fault, however rare. A file without results did not load. */
function mayRunAgain(file) {
  const failed = failedIn(file)
  if (failed.length === 0 || nameOf(file).startsWith('test/simulation/')) return false
  return failed.every(({ title }) => !/^I\d+\b/.test(title))
}

if (command === 'again') {
  const files = args.flatMap(read).filter(isFailed)
  if (files.every(mayRunAgain)) console.log(files.map(nameOf).join('\n'))
} else {
  const [status, second, ...first] = args
  const again = read(second)
  const names = new Set(again.map(({ name }) => name))
  const files = [...first.flatMap(read).filter(({ name }) => !names.has(name)), ...again]
  const count = (wanted) =>
    files.flatMap(({ assertionResults }) => assertionResults).filter((each) => wanted.includes(each.status))
      .length
  const failed = count(['failed'])
  const skipped = count(['pending', 'skipped', 'todo'])
  if (skipped > 0) console.log(`${skipped} tests were skipped`)
  for (const file of again.filter((each) => !isFailed(each)))
    console.log(`${nameOf(file)} failed beside other files and passed alone`)
  // The end of a long log is what people read first.
  for (const file of files.filter(isFailed)) {
    console.log(`${nameOf(file)} failed. ${firstLineOf(file.message)}`)
    for (const { fullName, failureMessages } of failedIn(file))
      console.log(`  ${fullName}: ${firstLineOf(failureMessages[0])}`)
  }
  // What failed before or beside the tests (install, build, lint, a test file that does not load) is one failure.
  const other = Number(status) !== 0 && failed === 0 ? 1 : 0
  console.log(`${count(['passed'])} passed, ${failed + other} failed`)
}
