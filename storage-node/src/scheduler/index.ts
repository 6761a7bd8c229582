export * from './storage-client.ts'
export * from './storage-interfaces.ts'
