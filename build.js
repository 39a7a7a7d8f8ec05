// Bundles the programs of this package with their dependencies: a process that loads a few files starts in a third of the CPU time that hundreds take.
import { readdirSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { build } from 'esbuild'

const root = import.meta.dirname

const entryPoints = [
  './{cli,controller,metadata,storage-node,gateway}/main.ts',
  './bench/{main,draw,install-peers,enforcement/flooder,probes/stall-probe,servers/limit-process}.ts',
  './bench/load/{cold,driver-process,load-client,paced-client}.ts',
  './examples/word-count/{driver,mapper,reducer}.ts',
  './examples/word-count-kubernetes/{driver,function}.ts',
].flatMap((pattern) => {
  const [before, names, after] = pattern.split(/[{}]/)
  return names.split(',').map((name) => before + name + after)
})

/** Left to `node_modules`: a native addon; the SDK, as functions import it; what the bench compares with, as its users install it. */
const external = [
  'better-sqlite3',
  'mayfly',
  'autocannon',
  'ioredis',
  'redis',
  'iovalkey',
  '@valkey/valkey-glide',
]

/** The bench measures AWS's SDK as it is installed; the planes bundle it. */
const measured = {
  name: 'measured',
  setup(context) {
    context.onResolve({ filter: /^@aws-sdk\/client-s3$/ }, ({ path, importer }) =>
      relative(root, importer).startsWith('bench/') ? { path, external: true } : null,
    )
  },
}

/** A module may be bundled into any file. Each sees its own URL nevertheless: `cli/run.ts` is `dist/cli/run.js`. */
const urls = {
  name: 'urls',
  setup(context) {
    context.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const file = relative(root, path)
      const text = readFileSync(path, 'utf8')
      if (file.startsWith('node_modules/') || !/import\.meta\.(url|dirname)/.test(text)) return null
      const dist = "import.meta.url.replace(/(.*[/]dist[/]).*/, '$1')"
      const url = `const moduleUrl = new URL('${file.replace(/\.ts$/, '.js')}', ${dist}).href;`
      const folder = "fileURLToPathOfModule(new URL('.', moduleUrl)).slice(0, -1)"
      const contents = text
        .replaceAll('import.meta.url', 'moduleUrl')
        .replaceAll('import.meta.dirname', folder)
      const needed = contents.includes(folder)
        ? "import { fileURLToPath as fileURLToPathOfModule } from 'node:url';"
        : ''
      // On the first line, so that source maps remain true.
      return { contents: `${needed}${url}${contents}`, loader: 'ts' }
    })
  },
}

await rm('dist', { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints,
  outbase: '.',
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Names and short lines are retained, because Node prints the line of an uncaught error.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 240,
  sourcemap: true,
  sourcesContent: false,
  // CommonJS packages call `require` for modules of Node.
  banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
  external,
  plugins: [measured, urls],
  metafile: true,
  logLevel: 'warning',
})
await writeFile('dist/licenses.txt', licensesOf(Object.keys(metafile.inputs)))

/** The licences of all packages that are bundled. */
function licensesOf(files) {
  const folders = new Set(
    files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  )
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
    const notices = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    const text = notices.map((file) => readFileSync(`${folder}/${file}`, 'utf8').trim()).join('\n\n')
    return `${name} ${version}: ${license}\n\n${text}\n`
  })
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}
