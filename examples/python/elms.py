"""elms from Python, by ctypes over elms/elms.h: no build step, only the shared library (cmake -DBUILD_SHARED_LIBS=ON), which
$ELMS_LIBRARY names, or the system finds. Structs may be shorter than the header's: struct_size says so."""
import ctypes as c
import os
from ctypes.util import find_library

_lib = c.CDLL(os.environ.get("ELMS_LIBRARY") or find_library("elms") or "libelms.so")
_text_sink = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(c.c_char), c.c_size_t)
PROTECT, COMPRESS = 0, 1


class ElmsError(Exception):
    """What elms says went wrong."""


def _struct(*fields):
    """A struct of elms.h from "type name name" lists; it begins with its own size."""
    types = {"size_t": c.c_size_t, "int32": c.c_int32, "int64": c.c_int64, "double": c.c_double, "text": c.c_char_p,
             "pointer": c.c_void_p, "texts": c.POINTER(c.c_char_p), "sink": _text_sink, "reason": c.c_char * 512}

    class Struct(c.Structure):
        _fields_ = [("struct_size", c.c_size_t)] + [(n, types[f.split()[0]]) for f in fields for n in f.split()[1:]]

        def __init__(self, **values):
            super().__init__(struct_size=c.sizeof(self), **values)
    return Struct


class _Error(c.Structure):
    _fields_ = [("code", c.c_int), ("message", c.c_char * 508)]


_Segment = _struct("text text", "size_t text_bytes", "int32 role compressible", "double keep_ratio")
_RefineOptions = _struct("double keep_ratio", "int64 max_tokens")
_ServiceOptions = _struct("pointer refiner")
_PlanRequest = _struct("int32 n_protected_tokens n_compressible_tokens n_cached_tokens n_cached_compressible_tokens "
                       "n_cached_head_tokens n_output_tokens context_tokens without_refiner",
                       "double ttft_ms tpot_ms ttft_share tpot_share elapsed_ms confidence")
Plan = _struct("int32 level feasible accepted reuse_cache", "double width keep_ratio ttft_ms tpot_ms ttft_margin_ms "
               "tpot_margin_ms ttft_target_ms tpot_target_ms expected_quality",
               "int32 n_keep_tokens n_prefill_tokens n_reused_tokens n_refine_words", "reason reason")
_Request = _struct("pointer prompt", "size_t n_prompt", "pointer messages", "size_t n_messages",
                   "double ttft_ms tpot_ms ttft_share tpot_share confidence",
                   "int32 reject_infeasible max_tokens expected_tokens priority", "double deadline_ms", "pointer sampling",
                   "texts stop", "size_t n_stop", "pointer cancel", "sink on_text", "pointer user_data", "double width")


def _call(name, *arguments):
    """A function that returns an elms_code and fills an elms_error, its last argument."""
    error = _Error()
    if getattr(_lib, name)(*arguments, c.byref(error)) != 0:
        raise ElmsError(error.message.decode())


def _segments(prompt):
    """[(PROTECT or COMPRESS, text), ...] as an array."""
    texts = [(compressible, text.encode()) for compressible, text in prompt]
    return (_Segment * len(texts))(*[_Segment(text=t, text_bytes=len(t), compressible=k) for k, t in texts])


class _Handle:
    """What a function of elms made, its last argument but the error; freed with the object."""

    def __init__(self, create, free, *arguments):
        self.handle, self._free = c.c_void_p(), getattr(_lib, free)
        _call(create, *arguments, c.byref(self.handle))

    def __del__(self):
        self._free(self.handle)

    def read(self, name, kind):
        function = getattr(_lib, name)
        function.restype, function.argtypes = kind, [c.c_void_p]
        return function(self.handle)


class Model(_Handle):
    def __init__(self, path):
        super().__init__("elms_model_open", "elms_model_close", os.fsencode(path), None)


class Refiner(_Handle):
    def __init__(self, path):
        super().__init__("elms_refiner_open", "elms_refiner_close", os.fsencode(path), None)

    def refine(self, model, prompt, keep_ratio):
        """The text that is left, and the prompt's tokens before and after."""
        segments, options = _segments(prompt), _RefineOptions(keep_ratio=keep_ratio)
        refined = _Handle("elms_refiner_refine", "elms_refined_free", self.handle, model.handle, segments,
                          c.c_size_t(len(segments)), c.byref(options), None)
        n_before, n_after = (refined.read("elms_refined_tokens_" + when, c.c_size_t) for when in ("before", "after"))
        return refined.read("elms_refined_text", c.c_char_p).decode(), n_before, n_after


class Planner(_Handle):
    def __init__(self, model):
        super().__init__("elms_planner_create", "elms_planner_free", model.handle, None)

    def plan(self, **request):
        plan = Plan()
        _call("elms_planner_plan", self.handle, c.byref(_PlanRequest(**request)), c.byref(plan))
        return plan


class Service(_Handle):
    def __init__(self, model, refiner=None):
        options = _ServiceOptions(refiner=refiner.handle if refiner else None)
        super().__init__("elms_service_create", "elms_service_free", model.handle, c.byref(options))

    def generate(self, prompt, stop=(), on_text=None, **request):
        """(text, plan, measured TTFT, measured TPOT). `on_text` gets pieces of text, and ends the answer by True."""
        segments, stops = _segments(prompt), (c.c_char_p * len(stop))(*[s.encode() for s in stop])
        sink = _text_sink(lambda _, text, n: bool(on_text and on_text(text[:n].decode())))
        asked = _Request(prompt=c.cast(segments, c.c_void_p), n_prompt=len(segments), stop=stops, n_stop=len(stops),
                         on_text=sink, **request)
        answer, plan = _Handle("elms_service_generate", "elms_answer_free", self.handle, c.byref(asked)), Plan()
        _call("elms_answer_plan", answer.handle, c.byref(plan))
        return (answer.read("elms_answer_text", c.c_char_p).decode(), plan,
                answer.read("elms_answer_ttft_ms", c.c_double), answer.read("elms_answer_tpot_ms", c.c_double))
