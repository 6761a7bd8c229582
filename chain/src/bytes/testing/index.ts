export * from './almost-bytes.ts'
export * from './ssz-samples.ts'
