"""Ask the processor for memory that will be needed soon: says when, never changes what is computed."""

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["prefetch"]

READ, KEEP, DATA = 0, 3, 1   # arguments of the instruction: to read, keep in all caches, data


def _prefetch(typing_context: Any, array: Any, row: Any) -> Any:
    """Start loading row `row` of a one-dimensional array; a row outside the array does no harm."""
    if not isinstance(array, types.Array) or array.ndim != 1:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        place = cgutils.get_item_pointer(context, builder, signature.args[0], values, [index], wraparound=False)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        instruction = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, word, word, word]))
        builder.call(instruction, [builder.bitcast(place, byte), *(ir.Constant(word, k) for k in (READ, KEEP, DATA))])
        return context.get_dummy_value()

    return types.none(array, row), generate


def _nothing(array: Any, row: int) -> None:
    """Do nothing: plain Python has nothing to load early."""


prefetch = _nothing if numba.config.DISABLE_JIT else intrinsic(_prefetch)
