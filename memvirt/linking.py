"""Kernels that only kernels call, kept as LLVM's intermediate code until they are part of one that Python calls.

numba makes machine code of each function that it compiles, everything that it calls included, and again for each that calls it:
at the bottom of a deep room the same code is optimized a dozen times, and all but the last is thrown away. Here a part is only
typed, lowered and tidied up; what Python calls is linked from its parts, optimized and made machine code once.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding as llvm
from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class PartLibrary(JITCodeLibrary):
    """Code of one part and of all the parts that it calls."""

    def _optimize_final_module(self) -> None:
        """Leave that to what Python calls."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is no machine code."""
        self._ensure_finalized()
        return 0

    def serialize_using_object_code(self) -> tuple[str, bytes]:
        """Name and intermediate code."""
        return self.name, self._get_module_for_linking().as_bitcode()


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(NativeLowering):
    """numba's lowering without what makes a function ready for Python."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower a part."""
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        compiled, state.flags.no_compile = state.flags.no_compile, True
        super().run_pass(state)
        state.flags.no_compile = compiled
        state.library._ensure_finalized()
        lowered = state["cr"]
        entry = _entry(lowered.fndesc, lowered.env, state.library)
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        state["cr"] = _LowerResult(lowered.fndesc, lowered.call_helper, cfunc=entry, env=lowered.env)
        return True


def _entry(fndesc: Any, environment: Any, library: PartLibrary) -> Any:
    """What numba knows the compiled part by; Python can't call it."""
    return _dynfunc.make_function(fndesc.lookup_module(), fndesc.qualname.rpartition(".")[2], "part", 0, environment, (library,))


class PartCompiler(CompilerBase):
    """Compiles a part."""

    def define_pipelines(self) -> list[Any]:
        """As numba does, but for the last step."""
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps.passes = [(PartLowering if step is NativeLowering else step, what) for step, what in steps.passes]
        steps._finalized = False
        steps.finalize()
        return [steps]


def rebuild(context: Any, kept: Any) -> Any:
    """A compiled part out of what `CompileResult._reduce` made of it."""
    (name, code), fndesc, environment, signature, objectmode, lifted, annotation, reload_init, environments = kept
    library = PartLibrary(context.codegen(), name)
    library._final_module = llvm.parse_bitcode(code)
    library._finalize_final_module()
    result: Any = CompileResult
    return result(
        target_context=context,
        typing_context=context.typing_context,
        library=library,
        environment=environment,
        entry_point=_entry(fndesc, environment, library),
        fndesc=fndesc,
        type_annotation=annotation,
        signature=signature,
        objectmode=objectmode,
        lifted=lifted,
        typing_error=None,
        call_helper=None,
        metadata=None,
        reload_init=reload_init,
        referenced_envs=environments,
    )
