import type { z } from 'zod'

/** What is wrong where, on one line. */
export function schemaIssues({ issues }: z.ZodError): string {
  return issues
    .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
    .join('; ')
}
