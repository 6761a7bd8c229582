/** Error codes of the Elastos main node over JSON-RPC. */
export const MainRpcCode = {
  params: 42002,
  refused: 43001,
  unknownTransaction: 44001,
  unknownBlock: 44003,
  unknownConfirm: 44004,
  internal: 45002,
  doubleSpend: 45010,
  duplicate: 45011,
} as const
