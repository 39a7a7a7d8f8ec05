import { useEffect, useState } from 'preact/hooks'
import { Dashboard } from './dashboard.tsx'
import { Login } from './login.tsx'
import { type Caller, currentSession, login, logout, takeCode } from './session.ts'

/** The login until somebody is logged in, then the dashboard. */
export function App() {
  const [caller, setCaller] = useState<Caller | null>(null)
  const [isKnown, setKnown] = useState(false)
  const [problem, setProblem] = useState('')

  const begin = async (): Promise<void> => {
    const code = takeCode()
    try {
      setCaller(code === null ? await currentSession() : await login({ code }))
    } catch (error) {
      setProblem((error as Error).message)
    }
    setKnown(true)
  }
  useEffect(() => void begin(), [])

  if (!isKnown) return null
  if (caller === null) return <Login problem={problem} onCaller={setCaller} />
  const leave = (why: string): void => {
    setProblem(why)
    setCaller(null)
  }
  return (
    <Dashboard
      caller={caller}
      onOver={() => leave('The session is over; log in again.')}
      onLogout={() => void logout().finally(() => leave(''))}
    />
  )
}
