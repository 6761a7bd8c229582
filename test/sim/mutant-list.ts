import { DUTY_MUTANTS } from './duty-mutants.ts'
import { FULL_NODE_MUTANTS } from './full-node-mutants.ts'
import { MACHINE_MUTANTS } from './machine-mutants.ts'
import type { Mutant } from './mutant.ts'

export const MUTANTS: readonly Mutant[] = [
  ...MACHINE_MUTANTS,
  ...DUTY_MUTANTS,
  ...FULL_NODE_MUTANTS,
]
