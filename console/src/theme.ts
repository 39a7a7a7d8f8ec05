import { useLayoutEffect, useState } from 'preact/hooks'

export type Theme = 'light' | 'dark'

const KEY = 'mayfly-theme'
const prefersDark = matchMedia('(prefers-color-scheme: dark)')

function initial(): Theme {
  const kept = localStorage.getItem(KEY)
  if (kept === 'light' || kept === 'dark') return kept
  return prefersDark.matches ? 'dark' : 'light'
}

/** The system's theme until the user chooses one, which is then stored. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState(initial)
  // Before the plots, which read their colours from it.
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = theme
  }, [theme])
  const toggle = (): void => {
    const next = theme === 'dark' ? 'light' : 'dark'
    localStorage.setItem(KEY, next)
    setTheme(next)
  }
  return [theme, toggle]
}

/** A colour of style.css. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}
