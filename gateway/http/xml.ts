import { decodeXML } from 'entities'
import { XMLParser } from 'fast-xml-parser'
import { XML_DEPTH_MAX } from '../limits.ts'
import { S3Error } from './s3-error.ts'

/** An element of a document: its text, or its children; several of one name are an array. */
export type Element = string | { readonly [name: string]: Element | readonly Element[] }

/** Entities are not processed by the parser, so that none can expand; those that XML itself has are decoded after it. */
const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  parseTagValue: false,
  processEntities: false,
  removeNSPrefix: true,
  trimValues: false,
  maxNestedTags: XML_DEPTH_MAX,
  tagValueProcessor: (_name, value) => decodeXML(value),
})

/** The children of the document's only element, which is `root`. Throws `MalformedXML`. */
export function parseXml(bytes: Buffer, root: string): Exclude<Element, string> {
  const text = bytes.toString('utf8')
  // No client of S3 sends a document type, and only there can entities be declared.
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw new S3Error('MalformedXML')
  const parsed = parse(text)
  const names = Object.keys(parsed).filter((name) => name !== '#text')
  const element = parsed[root]
  if (names.length !== 1 || element === undefined || Array.isArray(element)) throw new S3Error('MalformedXML')
  return typeof element === 'string' ? {} : (element as Exclude<Element, string>)
}

function parse(text: string): Record<string, Element | Element[]> {
  try {
    // `true` validates the document first.
    return parser.parse(text, true) as Record<string, Element | Element[]>
  } catch (cause) {
    throw new S3Error('MalformedXML', undefined, { cause })
  }
}

/** The elements of a name: none, one, or several. */
export function childrenOf(element: Exclude<Element, string>, name: string): readonly Element[] {
  if (!Object.hasOwn(element, name)) return []
  const found = element[name] as Element | readonly Element[]
  return Array.isArray(found) ? found : [found as Element]
}

/** The text of a child; undefined where there is none. Throws `MalformedXML` if it has no text, or is there twice. */
export function textOf(element: Element, name: string): string | undefined {
  if (typeof element === 'string') return undefined
  const [child, ...others] = childrenOf(element, name)
  if (child === undefined) return undefined
  if (typeof child !== 'string' || others.length > 0) throw new S3Error('MalformedXML')
  return child
}

/** Content of an XML element: text, or a list of named children. Undefined children are omitted. */
export type Node = string | number | boolean | readonly (readonly [string, Node | undefined])[]

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** A document as S3 writes it, without its declaration. */
export function formatXml(root: string, node: Node): string {
  const namespace = root === 'Error' ? '' : ` xmlns="${NAMESPACE}"`
  return `<${root}${namespace}>${formatNode(node)}</${root}>`
}

function formatNode(node: Node): string {
  if (!Array.isArray(node)) return escapeText(String(node))
  let text = ''
  for (const [name, child] of node as readonly (readonly [string, Node | undefined])[])
    if (child !== undefined) text += `<${name}>${formatNode(child)}</${name}>`
  return text
}

/** Control characters, which a key may have, become references, as S3 writes them. */
function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys may have control characters.
  return text.replace(/[&<>"\x00-\x1f\x7f\ufffe\uffff]/g, (character) => {
    switch (character) {
      case '&':
        return '&amp;'
      case '<':
        return '&lt;'
      case '>':
        return '&gt;'
      case '"':
        return '&quot;'
      default:
        return `&#x${character.charCodeAt(0).toString(16)};`
    }
  })
}
