"""Training: from gradients to a trained model in a folder.

    optimizers/       sgd, momentum, adam, adamw: how a gradient moves the weights
    groups            which weights decay, and which learn at another pace
    penalties         L1 and L2: prices on the size of the weights
    clipping          a limit on the length of the gradient
    schedules         the learning rate as a function of the step
    early_stopping    when to stop waiting for improvement
    step              loss and gradients of a batch, cut into shards, on several threads
    parallel, memory  the threads, and the memory allocator
    metrics           loss, perplexity, bits per character, accuracy
    tensors           named arrays in a safetensors file
    checkpoint        everything a killed run needs to go on, in one file
    settings          every knob
    run_folder        the files of a run, and the model in it
    lock              one training a folder
    metrics_log       the losses, line by line
    interrupt         Ctrl-C, politely
    nan_report        which tensor went bad first
    plots, report     the loss curve and the table of what was reached
    trainer           all of the above, top to bottom: start reading here
"""
