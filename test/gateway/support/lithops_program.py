"""A program of a Lithops user: functions get arguments, objects and results through the store that LITHOPS_CONFIG names."""

import lithops


def count(path, storage):
    bucket, key = path.split("/", 1)
    return len(storage.get_object(bucket, key).split())


def total(results):
    return sum(results)


executor = lithops.FunctionExecutor()
storage = executor.storage
bucket = storage.bucket
keys = [storage.put_object(bucket, "texts/%d" % index, "word " * index) and "texts/%d" % index for index in range(6)]
assert sorted(storage.list_keys(bucket, "texts/")) == keys
executor.map_reduce(count, ["%s/%s" % (bucket, key) for key in keys], total)
print(executor.get_result())
storage.delete_objects(bucket, keys)
assert storage.list_keys(bucket, "texts/") == []
