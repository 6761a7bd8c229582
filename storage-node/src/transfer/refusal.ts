/** Why a provider does not do what it was asked; goes to the peer as a refusal frame. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
