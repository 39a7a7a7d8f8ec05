import { dirname, join } from 'node:path'
import ts from 'typescript'
import { type Block, root } from './blocks.ts'
import { programOf } from './stage.ts'

/** What the compiler finds wrong with these blocks, all in one program, as a user of the built package compiles them. */
export function faultsOfTypes(blocks: readonly Block[]): string[] {
  const sources = new Map<string, { block: Block; text: string }>()
  for (const [index, block] of blocks.entries()) {
    // A page is a folder, so that its blocks import its files.
    const file = join(root, 'test/docs/virtual', block.page, block.file ?? `block-${index}.ts`)
    sources.set(file, { block, text: programOf(block) })
  }
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => sources.has(path) || fileExists(path)
  host.readFile = (path) => sources.get(path)?.text ?? readFile(path)
  host.getSourceFile = (path, version, ...rest) => {
    const source = sources.get(path)
    return source === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, source.text, version)
  }
  host.directoryExists = (path) =>
    [...sources.keys()].some((file) => dirname(file).startsWith(path)) || ts.sys.directoryExists(path)
  const program = ts.createProgram([...sources.keys()], options, host)
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const block = sources.get(file?.fileName ?? '')?.block
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line
    return `${block?.page ?? file?.fileName}:${(block?.line ?? 0) + line + 1}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
}
