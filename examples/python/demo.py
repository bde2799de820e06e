"""python demo.py MODEL.gguf REFINER.gguf: refines a prompt, plans a request, and answers it within targets."""
import sys

import elms

NOTES = """The committee met on 12 March in the old town hall, as it had always done. After a long discussion about chairs
the members agreed that the bridge would be painted green. Nobody spoke of the cost, which is 4,500 euros.
"""
AGENT = [(elms.PROTECT, "Choose the function that fits the request.\n"),
         (elms.COMPRESS, "get_weather: tell the forecast for a place\nalarm: set a clock to ring at a time\n"
                         "play_music: start a song or an album\nmake_call: ring someone on the phone\n"),
         (elms.PROTECT, "Request: will it rain in oslo this weekend\nFunction:")]


def main(model_path, refiner_path):
    model, refiner = elms.Model(model_path), elms.Refiner(refiner_path)
    text, before, after = refiner.refine(model, [(elms.COMPRESS, NOTES), (elms.PROTECT, "Which colour?")], 0.5)
    print(f"refined to {after} of {before} tokens:\n{text}\n")

    plan = elms.Planner(model).plan(n_protected_tokens=60, n_compressible_tokens=340, ttft_share=0.5, tpot_share=0.5)
    print(f"planned for half of the full model's time: width {plan.width:.2f}, keep {plan.keep_ratio:.2f}, "
          f"TTFT {plan.ttft_ms:.1f} + {plan.ttft_margin_ms:.1f} ms of {plan.ttft_target_ms:.1f}\n{plan.reason.decode()}\n")

    service = elms.Service(model, refiner)
    for shares in ({}, {"ttft_share": 0.8, "tpot_share": 0.7}, {"ttft_share": 0.4, "tpot_share": 0.4}):
        pieces = []
        answer, plan, ttft_ms, tpot_ms = service.generate(AGENT, stop=["\n"], on_text=pieces.append, max_tokens=12, **shares)
        assert "".join(pieces) == answer
        print(f"{answer.strip():14} width {plan.width:.2f}, keep {plan.keep_ratio:.2f}: TTFT {plan.ttft_ms:.1f} ms planned, "
              f"{ttft_ms:.1f} measured; TPOT {plan.tpot_ms:.2f} planned, {tpot_ms:.2f} measured")
    try:
        elms.Model("absent.gguf")
    except elms.ElmsError as error:
        print(f"\nerrors are exceptions: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
