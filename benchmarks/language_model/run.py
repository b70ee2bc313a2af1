"""A language model with LoRA adapters here, in transformers with PEFT, and in llama.cpp.

    python3 benchmarks/language_model/run.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf [--threads 2]

The same base (the GGUF's weights, which transformers decodes by itself), start values, texts, order
and settings: rank 8 on all linear layers, one text of 256 tokens a step, AdamW at 1e-3. Prints one
table, how far the losses of 20 steps and the greedy text are apart, and how far llama.cpp's
probabilities with the adapter that was trained here. requirements.txt lists what it needs.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LENGTH, TEXTS = 256, 16


def best(action, turns=3):
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def transformers_side(options):
    """Does in Python what lora_side.cpp does; prints JSON. Runs in a process of its own."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers
    from peft import PeftModel

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    folder = pathlib.Path(options.hf)
    kind = getattr(torch, options.dtype)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kind).eval()
    texts = [[int(i) for i in line.split()] for line in open(options.tokens)]
    prompt = torch.tensor([texts[0]])
    result = {}
    with torch.no_grad():
        model(prompt, logits_to_keep=1)
        result["prefill"] = LENGTH / best(lambda: model(prompt, logits_to_keep=1))

        def write():
            out = model(prompt, use_cache=True, logits_to_keep=1)
            start, written = time.perf_counter(), []
            for step in range(64):
                written.append(int(out.logits[0, -1].argmax()))
                if step < 63:
                    out = model(torch.tensor([written[-1:]]), past_key_values=out.past_key_values)
            return written, 63 / (time.perf_counter() - start)

        runs = [write() for _ in range(3)]
        result["greedy"], result["decode"] = runs[0][0], max(speed for _, speed in runs)
    model = PeftModel.from_pretrained(model, options.start, is_trainable=True).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    losses, times = [], []
    for step in range(options.steps):
        ids = torch.tensor([texts[step % len(texts)]])
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)
        losses.append(loss.item())
    result["losses"] = losses
    result["train"] = LENGTH / sorted(times)[len(times) // 2]
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def llama_side(options):
    """Asks llama.cpp for its speed and its probabilities; prints JSON. Runs in a process of its own."""
    import urllib.request

    import xllamacpp

    texts = [[int(i) for i in line.split()] for line in open(options.tokens)]

    def server(model, adapters):
        params = xllamacpp.CommonParams()
        params.model.path = model
        params.n_ctx = 512
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
        params.n_parallel = 1
        params.warmup = True
        for cache in ("cache_type_k", "cache_type_v"):
            setattr(params, cache, xllamacpp.ggml_type.GGML_TYPE_F32)
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(a, 1.0) for a in adapters]
        return xllamacpp.Server(params)

    def complete(at, **settings):
        address = str(at.listening_address)
        url = (address if address.startswith("http") else "http://" + address) + "/completion"
        body = {"prompt": texts[0], "temperature": 0.0, "cache_prompt": False, **settings}
        request = urllib.request.Request(url, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=600).read())

    result = {}
    base = server(options.gguf, [])
    timings = [complete(base, n_predict=64, ignore_eos=True)["timings"] for _ in range(3)]
    result["prefill"] = max(t["prompt_per_second"] for t in timings)
    result["decode"] = max(t["predicted_per_second"] for t in timings)
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    del base
    # In float32, so that nothing but the adapter can be apart.
    whole = str(pathlib.Path(options.start) / "whole.gguf")
    as_float32(options.gguf, whole)
    adapted = server(whole, [str(pathlib.Path(options.start) / "trained.gguf")])
    first = complete(adapted, n_predict=1, n_probs=50)["completion_probabilities"][0]
    top = first.get("top_logprobs") or first["probs"]
    result["top"] = [[t["id"], t["logprob"]] for t in top]
    print(json.dumps(result))


def as_float32(source, target):
    """Copies a GGUF file with its tensors decoded to float32."""
    import gguf

    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        writer.add_key_value(key, field.contents(), kind,
                             field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def as_folder(gguf, folder, tokens, text):
    """Has transformers decode the GGUF into a folder of float32, and cut the text into ids."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    gguf = pathlib.Path(gguf)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # It was quantised, and no longer is.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) < LENGTH * TEXTS:
        sys.exit(f"the text has {len(ids)} tokens, expected {LENGTH * TEXTS} or more")
    tokens.write_text("\n".join(
        " ".join(map(str, ids[i * LENGTH:(i + 1) * LENGTH])) for i in range(TEXTS)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", help="the base model")
    parser.add_argument("--program", help="the built lora_language_model [built here]")
    parser.add_argument("--text", default=str(HERE.parents[1] / "README.md"),
                        help="a text to train on, at least 4,096 tokens [this README]")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=20)
    for name in ("side", "hf", "dtype", "tokens", "start"):
        parser.add_argument("--" + name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return {"transformers": transformers_side, "llama": llama_side}[options.side](options)
    if not options.gguf:
        parser.error("--gguf says where the base model is")

    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        program = options.program
        if not program:
            build = work / "build"
            source = HERE.parents[1]
            subprocess.run(["cmake", "-S", source, "-B", build, "-G", "Ninja",
                            "-DCMAKE_BUILD_TYPE=Release", "-DLORA_BUILD_TESTS=OFF",
                            "-DLORA_BUILD_EXAMPLES=OFF"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["cmake", "--build", build, "--target", "lora_language_model"],
                           check=True, stdout=subprocess.DEVNULL)
            program = build / "benchmarks/language_model/lora_language_model"
        tokens, start, folder = work / "tokens.txt", work / "start", work / "hf"
        as_folder(options.gguf, folder, tokens, pathlib.Path(options.text).read_text())

        def side(command):
            run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
            if run.returncode != 0:
                print(f"{command[0]}: failed\n{run.stderr[-2000:]}", file=sys.stderr)
                return None
            return json.loads(run.stdout.splitlines()[-1])

        common = ["--threads", options.threads, "--tokens", tokens, "--start", start]
        python = [sys.executable, __file__, *common]
        sides = {
            "here, from the GGUF's blocks": side([program, "--model", options.gguf, "--storage",
                                                  "file", "--steps", options.steps, *common]),
            "here, base in bfloat16": side([program, "--model", folder, "--storage", "bfloat16",
                                            "--steps", options.steps, *common]),
            "here, float32": side([program, "--model", folder, "--storage", "float32",
                                   "--steps", options.steps, *common]),
            **{f"transformers + PEFT, {kind}":
               side([*python, "--side", "transformers", "--hf", folder, "--dtype", kind,
                     "--steps", options.steps]) for kind in ("float32", "bfloat16")},
            "llama.cpp, from the GGUF": side([*python, "--side", "llama", "--gguf", options.gguf]),
        }
    print(f"{LENGTH} tokens, {options.threads} threads; tokens a second, and MiB\n")
    print("| | prefill | decode | training | peak memory |\n| --- | ---: | ---: | ---: | ---: |")
    for name, found in sides.items():
        if found:
            train = f"{found['train']:.0f}" if "train" in found else ""
            print(f"| {name} | {found['prefill']:.0f} | {found['decode']:.1f} | {train} "
                  f"| {found['peak_mib']:.0f} |")
    here, peer = sides["here, float32"], sides["transformers + PEFT, float32"]
    if here and peer:
        apart = max(abs(a - b) for a, b in zip(here["losses"], peer["losses"]))
        same = sum(1 for a, b in zip(here["greedy"], peer["greedy"]) if a == b)
        print(f"\nlosses of {len(here['losses'])} steps: {here['losses'][0]:.4f} to "
              f"{here['losses'][-1]:.4f}, at most {apart:.1e} apart; greedy text: {same} of 64 "
              "tokens the same")
    blocks = sides["here, from the GGUF's blocks"]
    if here and blocks:
        apart = max(abs(a - b) for a, b in zip(here["losses"], blocks["losses"]))
        same = sum(1 for a, b in zip(here["greedy"], blocks["greedy"]) if a == b)
        print(f"from the GGUF's blocks: losses at most {apart:.1e} from float32's; greedy text: "
              f"{same} of 64 tokens the same")
    llama = sides["llama.cpp, from the GGUF"]
    if here and llama:
        log = here["log_probabilities"]
        apart = max(abs(log[token] - value) for token, value in llama["top"])
        print(f"llama.cpp in float32 with the adapter that was trained here: its {len(llama['top'])} "
              f"likeliest tokens are at most {apart:.1e} apart in log-probability; the first is "
              f"{'the same' if log.index(max(log)) == llama['top'][0][0] else 'another'}")


if __name__ == "__main__":
    main()
