// The path asks for the package: without it Node gives its own module of this name.
import { Buffer as WebBuffer } from 'buffer/index.js'

/**
 * The SSZ library writes the lengths of lists through Node's Buffer, from the moment it is
 * loaded. A browser has none, so this stands before every other module of the client.
 */
const place = globalThis as { Buffer?: unknown }
place.Buffer ??= WebBuffer
