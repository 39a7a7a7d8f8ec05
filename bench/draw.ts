import { readFileSync, writeFileSync } from 'node:fs'
import { drawRatios, type Results } from './report/ratio-chart.ts'

/** `npm run chart -- OUT.svg RESULTS.json…` draws the results of suites, as the bench wrote them, in one chart. */
const [out, ...files] = process.argv.slice(2)
if (out === undefined || files.length === 0) throw new Error('usage: npm run chart -- OUT.svg RESULTS.json…')
const results = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Results)
writeFileSync(out, drawRatios(results))
