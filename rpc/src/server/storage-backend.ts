import type { CheckedParamsOf, ResultOf } from '../contract/methods.ts'
import type { CallContext } from './handler.ts'

/**
 * The node owner's own files, as the RPC server offers them. Only a process that holds the
 * owner's keys has one; without it the storage methods are not served.
 */
export interface StorageBackend {
  /** Begins the transfer and answers at once; `status` tells the progress. */
  put(params: CheckedParamsOf<'storage_put'>): Promise<ResultOf<'storage_put'>>
  get(
    params: CheckedParamsOf<'storage_get'>,
    context: CallContext,
  ): Promise<ResultOf<'storage_get'>>
  list(): Promise<ResultOf<'storage_list'>>
  /** Undefined for an unknown name. */
  status(name: string): Promise<ResultOf<'storage_status'> | undefined>
}
