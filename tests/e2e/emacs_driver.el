;;; What a user of Emacs does with prompts; the configuration is the snippet of docs/how-to/editors/emacs.md.  -*- lexical-binding: t -*-

(require 'json)
(require 'jsonrpc)

(defvar seen nil)

(defun saw (name value)
  (push (cons name value) seen))

(defun wait-for (what look)
  "Wait until LOOK returns something while the server's messages come in; return it."
  (let ((deadline (+ (float-time) 60)) value)
    (while (not (setq value (funcall look)))
      (when (> (float-time) deadline) (error "Nothing came: %s" what))
      (accept-process-output nil 0.05))
    value))

(defun end-of-command ()
  "Do what the command loop does between two commands: undo goes back to here."
  (undo-boundary))

(defun text ()
  (buffer-substring-no-properties (point-min) (point-max)))

(defun open (path)
  "Open PATH in the selected window and wait until eglot manages it."
  (find-file path)
  (run-hooks 'post-command-hook)        ; in batch there are no commands, so `eglot-ensure' would wait for ever
  (wait-for (concat "eglot for " path) #'eglot-managed-p))

(defun diagnostics (what)
  (flymake-start)
  (mapcar (lambda (found)
            (let ((spec (cdr (assq 'eglot-lsp-diag (flymake-diagnostic-data found)))))
              (list (cons 'code (plist-get spec :code))
                    (cons 'source (plist-get spec :source))
                    (cons 'message (flymake-diagnostic-text found))
                    (cons 'line (1- (line-number-at-pos (flymake-diagnostic-beg found)))))))
          (wait-for what (lambda () (flymake-diagnostics)))))

(defun hover ()
  (let (info)
    (eglot-hover-eldoc-function (lambda (shown &rest _) (setq info shown)))
    (substring-no-properties (wait-for "the hover" (lambda () info)))))

(defun undo-all (original)
  "Undo the last command; save."
  (end-of-command)
  (let ((last-command nil)) (undo))
  (unless (equal (text) original) (error "Undo gives %S" (text)))
  (save-buffer))

(defun press (keys &rest arguments)
  "Call the command that KEYS run here with ARGUMENTS, or as a user does."
  (let ((command (or (key-binding (kbd keys)) (error "%s is not bound" keys))))
    (end-of-command)
    (if arguments (apply command arguments) (call-interactively command))))

(defun prompt ()
  (open "fix.prompt.md")
  (let ((original (text))
        (document (eglot--TextDocumentIdentifier)))
    (saw 'diagnostics (vconcat (diagnostics "diagnostics of the prompt")))
    (goto-char (point-min))
    (saw 'hover (hover))
    (saw 'plan (anchorline-request :anchorline/plan :textDocument document))
    (press "C-c C-r")                   ; from the front matter
    (saw 'refined (text))
    (undo-all original)
    (saw 'plan_after_undo (anchorline-request :anchorline/plan :textDocument document))

    (press "C-c C-p")
    (saw 'plan_id anchorline-plan-id)
    (saw 'explanation (with-current-buffer "*Anchorline*" (text)))
    (saw 'chosen (press "C-c C-o" "accepted"))
    (saw 'reported (eval (car (read-from-string (getenv "E2E_REPORT"))) t))

    ;; Only what is selected.
    (goto-char (point-min))
    (search-forward "I was")
    (push-mark (line-beginning-position) t t)
    (end-of-line)
    (let ((transient-mark-mode t)) (press "C-c C-r"))
    (saw 'refined_selection (text))))

(defun body ()
  (open "agent.request.json")
  (let ((original (text)))
    (saw 'body_diagnostics (vconcat (diagnostics "diagnostics of the body")))
    (let ((nothing-cached
           (wait-for "AL207" (lambda ()
             (seq-find (lambda (found) (string-search "AL207" (flymake-diagnostic-text found))) (flymake-diagnostics))))))
      (end-of-command)
      (eglot-code-actions (flymake-diagnostic-beg nothing-cached) (flymake-diagnostic-end nothing-cached)
                          "quickfix" t))
    (saw 'anchored (text))
    (undo-all original)))

(defun attached ()
  "See which files get the client."
  (let ((names (json-parse-string (getenv "E2E_SERVED") :array-type 'list))
        (others (json-parse-string (getenv "E2E_OTHERS") :array-type 'list)))
    (saw 'not_attached
         (vconcat (seq-filter (lambda (name)
                                (find-file name)
                                (run-hooks 'post-command-hook)
                                (not (eglot-managed-p)))
                              others)))
    (dolist (name names) (open name))
    (saw 'clients (apply #'+ (mapcar #'length (hash-table-values eglot--servers-by-project))))))

(setq make-backup-files nil create-lockfiles nil jsonrpc-default-request-timeout 60) ; seconds
(condition-case problem
    (progn (prompt) (body) (attached))
  (error (saw 'error (format "%s\n%s" (error-message-string problem)
                             (with-current-buffer "*Messages*" (text))))))
(let ((coding-system-for-write 'utf-8-unix))
  (write-region (json-encode (nreverse seen)) nil (getenv "E2E_RESULTS")))
(eglot-shutdown-all)
(kill-emacs 0)
