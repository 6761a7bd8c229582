/** What a transfer is at; called often, must be quick. */
export interface TransferProgress {
  readonly phase: 'reading' | 'opening' | 'sending' | 'confirming' | 'fetching' | 'done'
  /** Bytes of the user's files. */
  readonly bytes: number
  readonly bytesTotal: number
  /** Peers taking part, and those lost on the way. */
  readonly peers: number
  readonly peersLost: number
}
