import type { ClusterView, ConsoleLinkView, JobView, NodeView } from '../../controller/api/schemas.ts'

export type ClusterReply = ClusterView
export type LinkReply = ConsoleLinkView
export type NodeReply = NodeView
/** The ticket is present while the job is active. */
export type JobReply = JobView & { readonly ticket?: string }

/** Bytes of all tiers. */
export function sumTiers(bytes: Readonly<Record<string, number>>): number {
  return Object.values(bytes).reduce((sum, each) => sum + each, 0)
}
