"""A program of a Lithops user: functions get arguments and give results through the store that LITHOPS_CONFIG names."""

import lithops


def square(number):
    return number * number


executor = lithops.FunctionExecutor()
executor.map(square, range(8))
print(sum(executor.get_result()))
