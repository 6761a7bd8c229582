/** Where text goes: the process's streams, or a test's. */
export type TextStream = NodeJS.WritableStream & { readonly isTTY?: boolean }
