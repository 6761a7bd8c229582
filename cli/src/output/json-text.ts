/** JSON text of a value that may hold amounts: bigints become strings of digits. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each),
    indent,
  )
}
