import { goProgram } from './go-program.ts'

export const helm = goProgram({
  name: 'helm',
  title: 'Helm',
  module: 'helm.sh/helm/v3/cmd/helm@latest',
})
