export * from './full-node-network.ts'
export * from './peer-id.ts'
