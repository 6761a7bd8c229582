export * from './network-params.ts'
export * from './params-codec.ts'
