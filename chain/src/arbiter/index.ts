export * from './arbiter-chain.ts'
export * from './arbiter-methods.ts'
export * from './arbiter-server.ts'
export * from './ledger-arbiter-chain.ts'
