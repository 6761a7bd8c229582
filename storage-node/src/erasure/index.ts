export * from './code-matrix.ts'
export * from './reed-solomon.ts'
export * from './scalar-kernel.ts'
export * from './simd-kernel.ts'
