export * from './chain-client.ts'
export * from './node-interfaces.ts'
