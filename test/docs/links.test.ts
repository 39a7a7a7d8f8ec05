import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { pages, root } from './blocks.ts'

const guides = ['ARCHITECTURE.md', 'bench/README.md', 'test/README.md']

/** The anchors that GitHub makes of the headings of a page. */
function anchorsOf(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function withoutBlocks(text: string): string {
  return text.replace(/^ *```.*?^ *```$/gms, '')
}

function isBroken(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const file = path === '' ? join(root, page) : join(root, dirname(page), path)
  if (!existsSync(file)) return true
  if (anchor === undefined || statSync(file).isDirectory()) return false
  return !anchorsOf(readFileSync(file, 'utf8')).includes(anchor)
}

test.each([...pages(), ...guides])('the links of %s lead to files and headings that exist', (page) => {
  const text = withoutBlocks(readFileSync(join(root, page), 'utf8'))
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  expect(links.filter((link) => !/^https?:/.test(link) && isBroken(page, link))).toEqual([])
})

test('each page of docs/ is reached from docs/README.md', () => {
  const index = readFileSync(join(root, 'docs/README.md'), 'utf8')
  const paths = pages().filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
  expect(paths.filter((page) => !index.includes(`(${page.slice('docs/'.length)})`))).toEqual([])
})
