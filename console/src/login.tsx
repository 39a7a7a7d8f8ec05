import { useState } from 'preact/hooks'
import { type Caller, login } from './session.ts'

interface LoginProps {
  /** Why the session ended; empty if there was none. */
  readonly problem: string
  readonly onCaller: (caller: Caller) => void
}

/** Takes the API key once; the browser then has a cookie that no script can read. */
export function Login({ problem, onCaller }: LoginProps) {
  const [apiKey, setApiKey] = useState('')
  const [failure, setFailure] = useState(problem)
  const [isBusy, setBusy] = useState(false)

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    try {
      onCaller(await login({ apiKey: apiKey.trim() }))
    } catch (error) {
      setFailure((error as Error).message)
      setBusy(false)
    }
  }

  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)} aria-labelledby="login-title">
        <h1 id="login-title">Mayfly</h1>
        {/* Password managers keep the key under this name. */}
        <input type="text" name="username" autocomplete="username" value="mayfly" readOnly hidden />
        <label for="api-key">API key</label>
        <input
          id="api-key"
          type="password"
          autocomplete="current-password"
          required
          value={apiKey}
          onInput={(event) => setApiKey(event.currentTarget.value)}
        />
        <button type="submit" disabled={isBusy}>
          Log in
        </button>
        <p class="failure" role="alert">
          {failure}
        </p>
        <p class="hint">
          The key is in <code>credentials.json</code> of the state folder. <code>mayfly open</code> logs in
          without it.
        </p>
      </form>
    </main>
  )
}
