export * from './network-params.ts'
