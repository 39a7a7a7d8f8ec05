/** The logged-in user. */
export interface Caller {
  readonly name: string
  readonly role: string
}

/** Null if nobody is. */
export async function currentSession(): Promise<Caller | null> {
  const response = await fetch('/console/session')
  return ((await response.json()) as { caller: Caller | null }).caller
}

/** Logs in with an API key, or with the code of a one-time link. Rejects with what the controller says. */
export async function login(credentials: { apiKey: string } | { code: string }): Promise<Caller> {
  const response = await fetch('/console/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(credentials),
  })
  const body = (await response.json()) as Caller & { error?: { message: string } }
  if (!response.ok) throw new Error(body.error?.message ?? `The controller answered ${response.status}`)
  return body
}

export async function logout(): Promise<void> {
  await fetch('/console/logout', { method: 'POST' })
}

/** The code of a one-time link, which is removed from the address bar at once. */
export function takeCode(): string | null {
  const [, code] = /^#code=([\w-]+)$/.exec(location.hash) ?? []
  if (code !== undefined) history.replaceState(null, '', location.pathname)
  return code ?? null
}
