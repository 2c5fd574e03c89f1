"""`nanolm eval RUN`: measure a trained model, on its own validation text or on another, beside the baselines."""
import click


@click.command("eval")
@click.argument("run", type=click.Path())
@click.option("--data", "text_path", type=click.Path(), help="Measure on this text file instead of the run's validation text.")
@click.option("--encoding", help="Of that file, such as latin-1.  [default: UTF-8]")
@click.option("--overlapping", is_flag=True, help="Give every token at least half a window of context: twice the time.")
@click.option("--int8", "in_int8", is_flag=True, help="Measure it with its weights rounded to 8 bits as well, and the change.")
def command(run, text_path, encoding, overlapping, in_int8):
    """Measure the model in the folder RUN: loss, perplexity, bits per character, next-token accuracy.

    \b
      nanolm eval runs/pydocs
      nanolm eval runs/pydocs --int8
      nanolm eval runs/pydocs --data README.md
    """
    from nanolm import kernels, threads
    from nanolm.cli import table
    from nanolm.generation import console
    from nanolm.models import gpt2
    from nanolm.training import metrics, run_folder
    kernels.use(kernels.choose())
    kernels.warm_up()
    p, config, tokenizer = run_folder.load(run)
    if text_path:
        from nanolm.data import own_text
        text = own_text.read(text_path, encoding)
        ids, characters, baselines, name = tokenizer.encode(text), len(text), {}, text_path
    else:
        opened = run_folder.open_run(run)
        ids, corpus = opened.validation_ids, opened.corpus
        characters, baselines, name = corpus["validation_characters"], corpus["baselines"], f"{corpus['name']}, validation"
        if corpus["floor"] is not None:
            baselines = {**baselines, "floor: no model can be lower": corpus["floor"]}
    stride = max(1, config.block_size // 2) if overlapping else None
    result = metrics.evaluate(gpt2, p, config, ids, characters, stride, threads.cores())
    console.write(f"{run} on {name}: {characters:,} characters, {len(ids):,} tokens\n\n")
    rows = [("loss", f"{result['loss']:.4f}", "nats per token"),
            ("perplexity", f"{result['perplexity']:.2f}", "equally likely tokens"),
            ("accuracy", f"{100 * result['accuracy']:.2f}", "% of next tokens right"),
            ("this model", f"{result['bits_per_character']:.4f}", "bits per character")]
    if in_int8:
        from nanolm.generation import int8
        rounded = metrics.evaluate(gpt2, int8.dequantize(int8.quantize(p)), config, ids, characters, stride, threads.cores())
        change = rounded["perplexity"] - result["perplexity"]
        rows += [("perplexity, int8", f"{rounded['perplexity']:.4f}", "with weights rounded to 8 bits"),
                 ("perplexity, float32", f"{result['perplexity']:.4f}", "as above"),
                 ("change in perplexity", f"{change:+.4f}", f"{100 * change / result['perplexity']:+.3f} %")]
    rows += [(name, f"{bits:.4f}", "bits per character") for name, bits in sorted(baselines.items(), key=lambda item: item[1])]
    console.write(table.text(["measure", "value", "unit"], rows) + "\n")
