export * from './ssz-samples.ts'
