/** An OpenAPI document with the schema of a name in the place of each `$ref` to it. It has no circle. */
// biome-ignore lint/suspicious/noExplicitAny: a document of whatever shape.
export function dereference(document: any): any {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    const { $ref } = value as { $ref?: string }
    if ($ref !== undefined)
      return walk(document.components.schemas[$ref.replace('#/components/schemas/', '')])
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, walk(each)]))
  }
  return walk(document)
}
