import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { tempDir } from '../fixture/temp-dir.ts'
import { type Block, placeOf, root } from './blocks.ts'
import { programOf } from './stage.ts'

const compiler = join(root, 'node_modules/typescript-7/bin/tsc')

/** What the compiler prints about these blocks, all in one program, as a user of the built package compiles them; each line names the place of its block. */
export async function faultsOfTypes(blocks: readonly Block[]): Promise<string[]> {
  const dir = await tempDir()
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'))
  const options = {
    target: 'ES2022',
    module: 'NodeNext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: ['node'],
  }
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }))
  await writeFile(join(dir, 'package.json'), '{ "type": "module" }')
  const blockOf = new Map<string, Block>()
  for (const [index, block] of blocks.entries()) {
    // A page is a folder, so that its blocks import its files.
    const file = join('pages', block.page, block.file ?? `block-${index}.ts`)
    blockOf.set(file, block)
    await mkdir(dirname(join(dir, file)), { recursive: true })
    await writeFile(join(dir, file), programOf(block))
  }
  const printed = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [compiler, '--pretty', 'false'], { cwd: dir }, (error, stdout, stderr) => {
      if (error !== null && stdout === '') reject(new Error(stderr, { cause: error }))
      else resolve(stdout)
    })
  })
  return printed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const block = blockOf.get(/^(.*?)\(\d+,\d+\): /.exec(line)?.[1] ?? '')
      return block === undefined ? line : `${placeOf(block)}: ${line}`
    })
}
