import { describe, expect, type TestContext, test } from 'vitest'
import { newRecord } from '../../../metadata/decide/job-record.ts'
import type { PlacementStore } from '../../../metadata/store/placement-store.ts'
import { DEAD_NODES_RETAINED_MAX } from '../../../protocol/limits.ts'

/** One state of a metadata server for one test. */
export interface PreparedStore {
  /** Opens the same state each time. */
  open(): Promise<PlacementStore>
  /** From now on the database refuses every write to the jobs, as it does when its disk is full; then no longer. */
  refuseWrites(): Promise<void>
  allowWrites(): Promise<void>
}

const moved = { id: 'j-1', term: 3, address: '127.0.0.1:7001' }

/** The contract of every placement store. */
export function placementStoreContract(
  name: string,
  prepare: (test: TestContext) => Promise<PreparedStore>,
): void {
  describe(`the ${name} placement store`, () => {
    test('a job is here or elsewhere, never both, and of an ended one nothing stays', async (context) => {
      const state = await prepare(context)
      const store = await state.open()
      await store.save(newRecord('j-1', 4))
      await store.saveMoved(moved)
      await store.close()
      const again = await state.open()
      expect(await again.jobs()).toEqual([])
      expect(await again.moved()).toEqual([moved])
      await again.save(newRecord('j-1', 4))
      expect((await again.jobs()).map(({ id }) => id)).toEqual(['j-1'])
      expect(await again.moved()).toEqual([])
      await again.saveMoved(moved)
      await again.remove('j-1')
      expect([...(await again.jobs()), ...(await again.moved())]).toEqual([])
      await again.close()
    })

    test('the generation rises with every process', async (context) => {
      const state = await prepare(context)
      const generations: number[] = []
      for (let start = 0; start < 3; start++) {
        const store = await state.open()
        generations.push(await store.nextGeneration())
        await store.close()
      }
      expect(generations).toEqual([1, 2, 3])
    })

    test('has the address that was stored last, and none at first', async (context) => {
      const state = await prepare(context)
      const store = await state.open()
      expect(await store.address()).toBe(null)
      await store.saveAddress('a:1')
      await store.saveAddress('b:1')
      await store.close()
      const again = await state.open()
      expect(await again.address()).toBe('b:1')
      await again.close()
    })

    test('has the last record of each job', async (context) => {
      const state = await prepare(context)
      const store = await state.open()
      const record = { ...newRecord('j-1', 8), revision: 7, epoch: 3 }
      await Promise.all([store.save(newRecord('j-2', 4)), store.save(newRecord('j-1', 8))])
      await store.save(record)
      await store.close()
      const again = await state.open()
      expect(await again.jobs()).toEqual([record, newRecord('j-2', 4)])
      await again.close()
    })

    test('remembers the dead nodes that were added last', async (context) => {
      const state = await prepare(context)
      const store = await state.open()
      await store.addDeadNodes(['n-1', 'n-2', 'n-1'])
      await store.addDeadNodes(['n-2', 'n-3'])
      expect(await store.deadNodes()).toEqual(['n-1', 'n-2', 'n-3'])
      await store.addDeadNodes(
        Array.from({ length: DEAD_NODES_RETAINED_MAX - 1 }, (_, index) => `m-${index}`),
      )
      const nodes = await store.deadNodes()
      expect(nodes).not.toContain('n-1')
      expect(nodes).toContain(`m-${DEAD_NODES_RETAINED_MAX - 2}`)
      await store.close()
    })

    test('a refused write changes nothing, and the next one is taken', async (context) => {
      const state = await prepare(context)
      const store = await state.open()
      await store.saveMoved(moved)
      await state.refuseWrites()
      await expect(store.save(newRecord('j-1', 4))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect([await store.jobs(), await store.moved()]).toEqual([[], [moved]])
      await state.allowWrites()
      await store.save(newRecord('j-1', 4))
      expect([await store.jobs(), await store.moved()]).toEqual([[newRecord('j-1', 4)], []])
      await store.close()
    })

    test('translates the errors of its driver', async (context) => {
      const store = await (await prepare(context)).open()
      await store.close()
      await expect(store.save(newRecord('j-1', 4))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    })
  })
}
