import { goProgram } from './go-program.ts'

export const coredns = goProgram({
  name: 'coredns',
  title: 'CoreDNS',
  module: 'github.com/coredns/coredns@latest',
})
