export * from './forks.ts'
export * from './network-params.ts'
export * from './params-codec.ts'
